// Do Node programs find the proxy, whatever they connect with? Each is a process of its own with `node.cjs` in NODE_OPTIONS,
// and asks a host that is nowhere but behind the proxy of this file. Usage: node_tunnels.mjs NODE-CJS DIRECTORY

import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";

const [preload, directory] = process.argv.slice(2);
const [key, certificate] = ["key", "certificate"].map((name) => `${directory}/${name}.pem`);
const wanted = `req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=a.test -addext subjectAltName=DNS:a.test -keyout ${key} -out ${certificate}`;
execFileSync("openssl", wanted.split(" "), { stdio: "ignore" });

const listening = (server) => new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(server.address().port)));
const counted = (request, response) => {
  let bytes = 0;
  request.on("data", (piece) => (bytes += piece.length));
  request.on("end", () => response.end(`${request.socket.encrypted ? "secure" : "clear"} ${request.httpVersion} ${bytes}`));
};
const secure = await listening(http2.createSecureServer({ key: readFileSync(key), cert: readFileSync(certificate), allowHTTP1: true }, counted));
const clear = await listening(http.createServer(counted));

let tunnels = [];
const proxy = http.createServer().on("connect", (request, socket, head) => {
  tunnels.push(request.url);
  if (request.url.startsWith("no.test")) return socket.end("HTTP/1.1 403 Forbidden\r\n\r\nnot you");
  const there = net.connect(request.url.endsWith(":80") ? clear : secure, "127.0.0.1", () => {
    socket.write("HTTP/1.1 200 OK\r\n\r\n");
    there.write(head);
    there.pipe(socket).pipe(there);
  });
  there.on("error", () => socket.destroy());
  return socket.on("error", () => there.destroy());
});
const at = `http://user:secret@127.0.0.1:${await listening(proxy)}`;

const said = (code, options) =>
  new Promise((done) => {
    tunnels = [];
    const environment = { PATH: process.env.PATH, HTTPS_PROXY: at, HTTP_PROXY: at, NO_PROXY: "localhost,127.0.0.1,::1", NODE_USE_ENV_PROXY: "1" };
    const env = { ...environment, NODE_EXTRA_CA_CERTS: certificate, NODE_OPTIONS: `--require=${preload}`, ...options };
    const program = spawn(process.execPath, ["--input-type=module", "-e", code], { env, timeout: 30_000 });
    let text = "";
    for (const stream of [program.stdout, program.stderr]) stream.on("data", (piece) => (text += piece));
    program.on("close", () => done(text.trim()));
  });

const print = 's => s.on("data", d => console.log(String(d)))';
const cases = {
  "an agent of the program's own, kept alive": [
    `import https from "https"; const agent = new https.Agent({ keepAlive: true });
     const get = () => new Promise(done => https.get("https://a.test/", { agent }, s => s.on("data", d => console.log(String(d))).on("end", done)));
     await get(); await get(); agent.destroy();`,
    "secure 1.1 0\nsecure 1.1 0",
    "a.test:443",
  ],
  "names that are imported, and an upload": [
    `import { Agent, request } from "https"; request("https://a.test/", { agent: new Agent(), method: "POST" }, ${print}).end(Buffer.alloc(3e6));`,
    "secure 1.1 3000000",
    "a.test:443",
  ],
  "clear text": [`import http from "http"; http.get("http://a.test/", { agent: new http.Agent() }, ${print});`, "clear 1.1 0", "a.test:80"],
  fetch: [
    `console.log(await (await fetch("https://a.test/", { method: "POST", body: Buffer.alloc(2e6) })).text(), await (await fetch("https://a.test/")).text());`,
    "secure 1.1 2000000 secure 1.1 0",
  ],
  http2: [
    `import { connect } from "http2"; const session = connect("https://a.test"); const asked = session.request({ ":path": "/", ":method": "POST" });
     asked.on("data", d => console.log(String(d))).on("end", () => session.close()); asked.end(Buffer.alloc(3e6));`,
    "secure 2.0 3000000",
    "a.test:443",
  ],
  "a worker": [
    `import { Worker } from "worker_threads"; new Worker(new URL('data:text/javascript,import https from "https"; https.get("https://a.test/", { agent: new https.Agent() }, s => s.on("data", d => console.log(String(d))))'));`,
    "secure 1.1 0",
    "a.test:443",
  ],
  "a tunnel that is refused": [
    `import https from "https"; https.get("https://no.test/", { agent: new https.Agent() }).on("error", e => console.log(e.code, e.message.includes("403 Forbidden not you")));`,
    "ECONNREFUSED true",
    "no.test:443",
  ],
  "a session that is refused": [`import http2 from "http2"; http2.connect("https://no.test").on("error", e => console.log(e.code));`, "ECONNREFUSED", "no.test:443"],
  "a host that is excepted": [`import http from "http"; http.get("http://127.0.0.1:${clear}/", { agent: new http.Agent() }, ${print});`, "clear 1.1 0", ""],
  "no proxy": [
    `import http from "http"; http.get("http://127.0.0.1:${clear}/", { agent: new http.Agent() }, ${print});`,
    "clear 1.1 0",
    "",
    { HTTPS_PROXY: "", HTTP_PROXY: "", NO_PROXY: "" },
  ],
};
for (const [name, [code, expected, through, options]] of Object.entries(cases)) {
  const got = await said(code, options);
  if (got !== expected || (through !== undefined && tunnels.join() !== through)) {
    throw new Error(`${name}: ${got}, through ${tunnels.join() || "no tunnel"}`);
  }
  console.log(`  ${name}`);
}
process.exit(0);
