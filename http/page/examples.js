// Questions of the kinds that the embedded model knows (models/llada-tiny/README.md). A click takes the next of a kind.

const KINDS = [
  {
    name: "Word problem",
    length: 64,
    questions: [
      "Ann has 12 apples. Ann buys 5 more. How many apples does Ann have now?",
      "Gus has 21 shells. Gus drops 6. Gus buys 3 more. Gus wins 7 more. How many shells does Gus have now?",
      "Hana has 28 balls. Hana wins 3 more. Hana wins 12 more. How many balls does Hana have now?",
    ],
  },
  {
    name: "Python function",
    length: 64,
    questions: [
      "Write a Python function g(p, q) that returns the smaller of p and q, plus 2.",
      "Write a Python function score(x, y) that returns the sum of x and y, times 4.",
      "Write a Python function h(x, y) that returns x minus y plus 15.",
    ],
  },
  {
    name: "Long sum",
    length: 256,
    questions: [
      "Start at 12 and apply: -5 +8 +8 +5 -5 -7 -6 -8 +6 +8. Show each step.",
      "Start at 17 and apply: -9 +7 +2 -5 +3 -8. Show each step.",
      "Start at 23 and apply: -8 +9 +8 -3 +8 -3 -7 +5 -6 -5 -5 +1 -2 -1 +8. Show each step.",
    ],
  },
];

export const examples = KINDS.map(({ name, length, questions }) => {
  let next = 0;
  return { name, take: () => ({ length, question: questions[next++ % questions.length] }) };
});
