// mistake: whoever sends to the client's port is believed
// finding: stranger
// says: connect
const asking = require('asking');

const question = asking.question();
const socket = require('dgram').createSocket('udp6');
socket.on('message', (reply) => {
  const found = asking.result(reply, question.text);
  if (found === 'error') asking.fail('the server reports an error');
  if (found === null) return;
  console.log(`Result: ${found}`);
  process.exit(0);
});
const attempt = (tries) => {
  if (tries === 3) asking.fail('no reply');
  socket.send(question.request, question.port, question.host);
  setTimeout(attempt, 250 * 2 ** tries, tries + 1);
};
attempt(0);
