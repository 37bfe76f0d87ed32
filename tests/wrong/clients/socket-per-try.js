// mistake: a new socket for each try: the reply to an earlier one has nowhere to go
// finding: late
// says: new socket
const asking = require('asking');

const question = asking.question();
const attempt = (tries) => {
  if (tries === 3) asking.fail('no reply');
  const socket = require('dgram').createSocket('udp6');
  socket.on('error', () => {});
  socket.on('message', (reply) => {
    const found = asking.result(reply, question.text);
    if (found === 'error') asking.fail('the server reports an error');
    if (found === null) return;
    console.log(`Result: ${found}`);
    process.exit(0);
  });
  socket.connect(question.port, question.host, () => socket.send(question.request));
  setTimeout(() => socket.close(() => attempt(tries + 1)), 300);
};
attempt(0);
