// One HTTPS request, as any Node program makes it: ask.mjs https|fetch URL. Prints the body of a 200.

import https from "node:https";

const headers = { "Stage-Control": "read" };

const withFetch = async (url) => {
  const response = await fetch(url, { headers });
  return { status: response.status, body: await response.text() };
};

const withHttps = (url) =>
  new Promise((resolve, reject) => {
    https
      .get(url, { headers }, (response) => {
        let body = "";
        response.setEncoding("utf8");
        response.on("data", (piece) => (body += piece));
        response.on("end", () => resolve({ status: response.statusCode, body }));
        response.on("error", reject);
      })
      .on("error", reject);
  });

const [api, url] = process.argv.slice(2);
const { status, body } = await (api === "fetch" ? withFetch(url) : withHttps(url));
if (status !== 200) {
  throw new Error(`status ${status}: ${body}`);
}
console.log(body);
