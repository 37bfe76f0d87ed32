// mistake: an operand that is cut is read beyond the end of the datagram, and the RangeError ends the server
// finding: survives
// says: RangeError
const calculator = require('calculator');

const socket = require('dgram').createSocket('udp6');
socket.on('message', (datagram, client) => {
  for (let at = 1; at < datagram.length; at += 4) datagram.readUInt32BE(at);
  const reply = calculator.answer(datagram);
  if (reply) socket.send(reply, client.port, client.address);
});
socket.bind(Number(process.argv[3]), process.argv[2]);
