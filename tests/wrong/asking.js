// A right client in JavaScript in parts, for programs whose mistake is in one of them.
const dgram = require('dgram');

exports.question = () => {
  const words = process.argv.slice(2).filter((word) => word !== '-s');
  const numbers = words.slice(4).map(Number);
  if (numbers.length > 64 || numbers.some((number) => !(number >= 0 && number < 2 ** 32))) {
    console.error('1 to 64 operands from 0 to 4294967295 expected');
    process.exit(2);
  }
  const text = process.argv.includes('-s');
  const request = Buffer.alloc(1 + 4 * numbers.length);
  request[0] = (words[1] === '*' ? 2 : 0) | (text ? 1 : 0);
  numbers.forEach((number, at) => request.writeUInt32BE(number, 1 + 4 * at));
  return { text, request, host: words[2], port: Number(words[3]) };
};

// The result, 'error', or null for what is no reply.
exports.result = (reply, text) => {
  if (reply.length && !(reply[0] & 0x80)) return 'error';
  if (!text) return reply.length === 5 ? String(reply.readUInt32BE(1)) : null;
  const digits = reply.toString('latin1', 1).replace(/\0$/, '');
  return reply.length <= 257 && /^-?[0-9]+$/.test(digits) ? digits : null;
};

exports.fail = (message) => {
  console.error(message);
  process.exit(1);
};

// Asks on one socket; gives each datagram that comes to `take`.
exports.ask = ({ request, host, port }, take) => {
  const socket = dgram.createSocket('udp6');
  const attempt = (tries) => {
    if (exports.answered) return;
    if (tries === 3) exports.fail('no reply');
    socket.send(request);
    setTimeout(attempt, 250 * 2 ** tries, tries + 1);
  };
  socket.on('message', take);
  socket.on('error', () => {});
  socket.connect(port, host, () => attempt(0));
};
