// unusual: events, and replies in the next turn of the loop
const calculator = require('calculator');

const socket = require('dgram').createSocket('udp6');
socket.on('message', (datagram, client) => {
  setImmediate(() => {
    const reply = calculator.answer(datagram);
    if (reply) socket.send(reply, client.port, client.address);
  });
});
socket.bind(Number(process.argv[3]), process.argv[2]);
