// The finalizer that keeps an object until what it left in a database is dealt with.

export const finalizerName = 'rowseal.dev/cleanup';
