// unusual: events and timers
const asking = require('asking');

const question = asking.question();
asking.ask(question, (reply) => {
  const found = asking.result(reply, question.text);
  if (found === 'error') asking.fail('the server reports an error');
  if (found === null) return;
  console.log(`Result: ${found}`);
  process.exit(0);
});
