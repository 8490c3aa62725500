// Annotations that people put on our objects.

/** The digest of the plan that may be applied; a ValidatingAdmissionPolicy decides who may set it. */
export const approveAnnotation = 'rowseal.dev/approve';
/** The user who set the approval. */
export const approvedByAnnotation = 'rowseal.dev/approved-by';
/** RFC 3339: until then nothing of the RowPolicy is applied or mended. */
export const pauseAnnotation = 'rowseal.dev/pause-until';
/** On a DatabaseConnection: the uid of the cluster whose database is taken over. */
export const takeOverAnnotation = 'rowseal.dev/take-over';
/** Lets an object go whose database is gone for good. */
export const abandonAnnotation = 'rowseal.dev/abandon';
