// Brings the servers that the tests run: found, or built from Go modules and cached. Says how to get what is missing.
import { goBinary } from '../test/parts/go-binaries.ts';

try {
  await Promise.all((['versitygw', 'etcd', 'kube-apiserver', 'kubectl'] as const).map((name) => goBinary(name)));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
