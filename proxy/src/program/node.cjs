// Lets programs on Node.js find the proxy that their environment names, whatever agent they use: Node itself reads it for
// agents that ask for it (NODE_USE_ENV_PROXY, `proxyEnv`), and AWS's SDKs make agents of their own, which do not.
//
// `NODE_OPTIONS` has every Node program read this file first. What it changes is how agents of `http` and `https`, sessions
// of `http2`, and `fetch`, where Node's own does not, come by a connection: through a tunnel (RFC 9110 §9.3.6), which both
// `http:` and `https:` take. Agents that connect in a way of their own are left alone, and so is a program without a proxy.
"use strict";

const http = require("node:http");
const http2 = require("node:http2");
const https = require("node:https");
const { syncBuiltinESMExports } = require("node:module");
const net = require("node:net");
const tls = require("node:tls");
const { Duplex } = require("node:stream");

// Answers of proxies to CONNECT have some hundred bytes.
const MAX_HEAD = 16 * 1024;
// As long as Node's own agent waits for a tunnel to be opened.
const TUNNEL_MILLISECONDS = 30_000;

const variable = (name) => process.env[name.toLowerCase()] || process.env[name.toUpperCase()] || "";

/** Whether `NO_PROXY` names a host: itself, a domain that it is in, or both with a port. */
const isExcepted = (host, port) =>
  variable("no_proxy")
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)
    .some((entry) => {
      if (entry === "*") return true;
      const [, name, only] = /^(\[.*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(entry) ?? [];
      if (name === undefined || (only && Number(only) !== port)) return false;
      const domain = name.replace(/^\[|\]$/g, "").replace(/^\*?\./, "");
      return host === domain || host.endsWith(`.${domain}`);
    });

/** The proxy for a destination; none where it is excepted, or is the proxy itself. */
const proxyFor = (scheme, { host, port, socketPath }) => {
  const named = variable(`${scheme}_proxy`);
  if (!named || !host || socketPath) return undefined;
  const proxy = new URL(named.includes("://") ? named : `http://${named}`);
  proxy.number = Number(proxy.port || (proxy.protocol === "https:" ? 443 : 80));
  const name = String(host).toLowerCase().replace(/^\[|\]$/g, "");
  const isItself = name === proxy.hostname.replace(/^\[|\]$/g, "") && Number(port) === proxy.number;
  return isItself || isExcepted(name, Number(port)) ? undefined : proxy;
};

/** Opens a tunnel, and gives its socket to `done(error, socket)`. */
const tunnel = (proxy, { host, port }, done) => {
  const hostname = proxy.hostname.replace(/^\[|\]$/g, "");
  const at = { host: hostname, port: proxy.number };
  const socket = proxy.protocol === "https:" ? tls.connect({ ...at, servername: net.isIP(hostname) ? "" : hostname }) : net.connect(at);
  const authority = `${net.isIPv6(host) ? `[${host}]` : host}:${port}`;
  const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`];
  if (proxy.username) {
    const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
    lines.push(`Proxy-Authorization: Basic ${Buffer.from(credentials).toString("base64")}`);
  }
  let head = Buffer.alloc(0);
  const end = (error) => {
    socket.removeListener("data", read).removeListener("error", end).removeListener("close", closed).setTimeout(0);
    if (error) socket.destroy();
    done(error, error ? undefined : socket);
  };
  const failed = (why) => end(Object.assign(new Error(`no tunnel to ${authority} through ${proxy.host}: ${why}`), { code: "ECONNREFUSED" }));
  const closed = () => failed("the proxy ended the connection");
  const read = (bytes) => {
    head = Buffer.concat([head, bytes]);
    const length = head.indexOf("\r\n\r\n");
    if (length < 0) return head.length > MAX_HEAD ? failed("its answer is too long") : undefined;
    const text = head.toString("latin1", 0, length);
    if (!/^HTTP\/1\.[01] 2\d\d/.test(text)) return failed(head.toString("utf8").replace(/\s+/g, " "));
    socket.pause();
    const rest = head.subarray(length + 4);
    if (rest.length > 0) socket.unshift(rest);
    end();
  };
  socket.on("data", read).on("error", end).on("close", closed);
  socket.setTimeout(TUNNEL_MILLISECONDS, () => failed("it did not answer in time"));
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
};

/** An agent's own way to connect, with the tunnel in front of it. */
const tunnelled = (scheme, connect, over) =>
  function createConnection(options, callback) {
    const isAsked = typeof options === "object" && options !== null && typeof callback === "function";
    // An agent of a Node that knows proxies asks for them itself.
    const proxy = isAsked && !options.socket && !this?.options?.proxyEnv ? proxyFor(scheme, options) : undefined;
    if (!proxy) return connect.apply(this, arguments);
    tunnel(proxy, options, (error, socket) => {
      if (error) return callback(error);
      try {
        callback(null, over.call(this, connect, { ...options, socket }));
      } catch (thrown) {
        callback(thrown);
      }
    });
    return undefined;
  };

http.Agent.prototype.createConnection = tunnelled("http", http.Agent.prototype.createConnection, (_, { socket }) => socket.resume());
https.Agent.prototype.createConnection = tunnelled("https", https.Agent.prototype.createConnection, function (connect, options) {
  return connect.call(this, options);
});

/** A connection that is used before its tunnel is open: `http2` wants one at once. */
class Coming extends Duplex {
  constructor(proxy, to) {
    super();
    tunnel(proxy, to, (error, socket) => {
      if (error || this.destroyed) {
        socket?.destroy();
        return this.destroy(error);
      }
      this.socket = socket
        .on("data", (bytes) => this.push(bytes) || socket.pause())
        .on("end", () => this.push(null))
        .on("error", (broken) => this.destroy(broken))
        .on("close", () => this.destroy())
        .resume();
      return this.emit("open");
    });
  }

  _opened(then) {
    if (this.socket) then();
    else this.once("open", then);
  }

  _read() {
    this.socket?.resume();
  }

  _write(bytes, _, done) {
    this._opened(() => this.socket.write(bytes, done));
  }

  _final(done) {
    this._opened(() => this.socket.end(done));
  }

  _destroy(error, done) {
    this.socket?.destroy();
    done(error);
  }
}

const secure = (proxy, { host, port }, options) => {
  const servername = options?.servername ?? (net.isIP(host) ? "" : host);
  return tls.connect({ ALPNProtocols: ["h2"], ...options, host, port, servername, socket: new Coming(proxy, { host, port }) });
};

const { connect } = http2;
http2.connect = function (authority, options, listener) {
  const [given, heard] = typeof options === "function" ? [undefined, options] : [options, listener];
  const url = typeof authority === "string" ? new URL(authority) : authority;
  const at = { host: (url.hostname || url.host || "").replace(/^\[|\]$/g, ""), port: Number(url.port || (url.protocol === "http:" ? 80 : 443)) };
  const isSecure = (url.protocol || given?.protocol || "https:") === "https:";
  const proxy = given?.createConnection ? undefined : proxyFor(isSecure ? "https" : "http", at);
  if (!proxy) return connect.apply(this, arguments);
  const createConnection = () => (isSecure ? secure(proxy, at, given) : new Coming(proxy, at));
  return connect.call(this, authority, { ...given, createConnection }, heard);
};

// Node's own `fetch` reads the environment since it knows this flag. Before, it takes a way to connect from its dispatcher,
// which is there once `fetch` was called for anything.
if (typeof fetch === "function" && !process.allowedNodeEnvironmentFlags.has("--use-env-proxy")) {
  const [own, dispatcher] = [fetch, Symbol.for("undici.globalDispatcher.1")];
  const connectFetch = ({ hostname, host, port, protocol, servername, ...rest }, done) => {
    const name = hostname || host;
    const at = { host: name.replace(/^\[|\]$/g, ""), port: Number(port || (protocol === "https:" ? 443 : 80)) };
    const proxy = proxyFor(protocol.slice(0, -1), at);
    const ready = (error, socket) => {
      if (error) return done(error);
      if (protocol === "http:") return done(null, socket.resume());
      const end = tls.connect({ host: at.host, servername: servername || (net.isIP(at.host) ? "" : at.host), ALPNProtocols: ["http/1.1"], socket });
      return end.once("error", done).once("secureConnect", () => done(null, end.removeListener("error", done)));
    };
    if (proxy) return tunnel(proxy, at, ready);
    const socket = net.connect(at).once("error", done);
    return socket.once("connect", () => ready(null, socket.removeListener("error", done)));
  };
  globalThis.fetch = function fetch(...given) {
    globalThis.fetch = own;
    // Whoever has set a dispatcher of their own keeps it.
    if (!globalThis[dispatcher]) {
      own("data:,").catch(() => undefined);
      const Agent = globalThis[dispatcher]?.constructor;
      if (Agent && (variable("https_proxy") || variable("http_proxy"))) globalThis[dispatcher] = new Agent({ connect: connectFetch });
    }
    return own(...given);
  };
}

syncBuiltinESMExports();
