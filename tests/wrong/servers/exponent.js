// mistake: numbers are doubles: long results are rounded, and longer ones written as 1e+22
// finding: long-text
// says: rounded
const calculator = require('calculator');

const socket = require('dgram').createSocket('udp6');
socket.on('message', (datagram, client) => {
  let reply = calculator.answer(datagram);
  if (reply && reply.length > 1 && datagram[0] & 1) {
    const product = (datagram[0] >> 1) & 1;
    const result = calculator.operands(datagram).reduce((a, b) => (product ? a * b : a + b));
    reply = Buffer.from('\xff' + result, 'latin1');
  }
  if (reply) socket.send(reply, client.port, client.address);
});
socket.bind(Number(process.argv[3]), process.argv[2]);
