// An HTTPS server that speaks HTTP/2 where the client does (ALPN). Arguments: key file, certificate file. Prints
// its port; each answer names the protocol and the session (connection) that it came over.
const http2 = require('http2');
const fs = require('fs');

const server = http2.createSecureServer(
  { key: fs.readFileSync(process.argv[2]), cert: fs.readFileSync(process.argv[3]), allowHTTP1: true });
const sessions = [];
server.on('session', (session) => sessions.push(session));
server.on('request', (request, response) => {
  const session = request.stream ? sessions.indexOf(request.stream.session) : -1;
  const reply = () => {
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.end(`${request.httpVersion} ${session} ${request.method} ${request.headers.authorization || ''}`);
  };
  if (request.url === '/reset') {
    request.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  } else if (request.url === '/goaway') {
    reply();
    request.stream.session.goaway();
  } else if (request.url === '/stream') {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write('{}\n');
  } else if (request.url === '/large-header') {
    const headers = {};
    for (let i = 0; i < 60; i++) headers[`x-filler-${i}`] = 'f'.repeat(1500);
    response.writeHead(200, headers);
    response.end();
  } else {
    setTimeout(reply, 20);
  }
});
server.on('sessionError', () => {});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.on('end', () => process.exit(0)).resume();
