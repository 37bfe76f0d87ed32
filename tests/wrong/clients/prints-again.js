// mistake: it goes on listening for a moment after the result, and prints what else comes
// finding: duplicate
// says: twice
const asking = require('asking');

const question = asking.question();
asking.ask(question, (reply) => {
  const found = asking.result(reply, question.text);
  if (found === 'error') asking.fail('the server reports an error');
  if (found === null) return;
  console.log(`Result: ${found}`);
  asking.answered = true;
  setTimeout(process.exit, 100, 0);
});
