// What a comparison of two policies comes to, in a sentence.

/** Of two runs that are done; else "". */
export function comparison(runs) {
  if (runs.length !== 2 || !runs.every((run) => run.state === "done")) return "";
  const lanes = runs.map((run, i) => ({ run, name: `${"AB"[i]} (${run.policy})`, ...run.figures() }));
  const [fast, slow] = lanes.sort((one, other) => other.perSecond - one.perSecond);
  const times = (fast.perSecond / slow.perSecond).toFixed(1);
  const share = Math.round((100 * fast.run.cost.rows_computed) / slow.run.cost.rows_computed);
  const same = fast.run.text === slow.run.text ? "The answers are the same." : "The answers differ.";
  return `${fast.name} was ${times} times as fast as ${slow.name} and computed ${share} % of its rows. ${same}`;
}
