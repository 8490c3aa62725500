// The contract stands in ports/, since controllers need it too.
export type { Batch, LogWriter, LogWriterStatus } from '../ports/log-writer.ts';
