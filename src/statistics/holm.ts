/**
 * Holm's procedure on the values p = 1/e of hypotheses that may depend on each other in any way: the strongest is rejected at
 * alpha over their number, the next at alpha over one less, up to the first that is not.
 *
 * @param logEvidences the logarithm of e for each
 * @returns for each whether it is rejected and at which level; those that aren't have the level that was not reached
 */
export function holm(logEvidences: readonly number[], alpha: number): { rejected: boolean; level: number }[] {
  const strongestFirst = [...logEvidences].sort((a, b) => b - a);
  const levelAt = (rank: number) => alpha / (logEvidences.length - rank);
  const reached = (evidence: number, rank: number) => evidence >= -Math.log(levelAt(rank));
  const failing = strongestFirst.findIndex((evidence, rank) => !reached(evidence, rank));
  const rejections = failing === -1 ? logEvidences.length : failing;
  const lastLevel = levelAt(Math.min(rejections, logEvidences.length - 1));
  return logEvidences.map((evidence) => {
    const rank = strongestFirst.indexOf(evidence);
    return rank < rejections
      ? { rejected: true, level: levelAt(rank) }
      : { rejected: false, level: lastLevel };
  });
}
