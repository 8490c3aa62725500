// Joins findings with what came of their witnesses. Who acts them out is passed in.
import type { Witness, WitnessOutcome } from '../policy/witness.ts';
import type { Finding, WitnessedFinding } from './lint.ts';

export async function witnessed(findings: readonly Finding[], act: (witnesses: readonly Witness[]) => Promise<readonly WitnessOutcome[]>): Promise<readonly WitnessedFinding[]> {
  const witnesses = findings.flatMap((finding) => finding.witness ?? []);
  const outcomes = await act(witnesses);
  const byWitness = new Map(witnesses.map((witness, index) => [witness, outcomes[index]]));
  return findings.map((finding) => {
    const outcome = finding.witness === undefined ? undefined : byWitness.get(finding.witness);
    return outcome === undefined ? finding : { ...finding, outcome };
  });
}
