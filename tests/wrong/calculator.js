// A right answer in JavaScript, for programs whose mistake is elsewhere.
exports.UNKNOWN = Buffer.from([0x7f]);

exports.isRequest = (datagram) =>
  datagram.length >= 5 && datagram.length <= 257 && datagram.length % 4 === 1 && (datagram[0] & 0x7f) !== 0x7f;

exports.operands = (datagram) => {
  const operands = [];
  for (let at = 1; at < datagram.length; at += 4) operands.push(datagram.readUInt32BE(at));
  return operands;
};

// The reply to a datagram, or null.
exports.answer = (datagram) => {
  if (!exports.isRequest(datagram)) return null;
  const opcode = (datagram[0] >> 1) & 7;
  if (opcode > 1) return exports.UNKNOWN;
  const operands = exports.operands(datagram).map(BigInt);
  const result = operands.reduce((a, b) => (opcode ? a * b : a + b));
  if (datagram[0] & 1) {
    const digits = result.toString();
    return digits.length > 256 ? exports.UNKNOWN : Buffer.concat([Buffer.from([0xff]), Buffer.from(digits)]);
  }
  if (result > 0xffffffffn) return exports.UNKNOWN;
  const reply = Buffer.from([0xff, 0, 0, 0, 0]);
  reply.writeUInt32BE(Number(result), 1);
  return reply;
};
