// Schema of DatabaseConnection.spec.claims: how a session says who it acts for (DESIGN §3; docs/claims.md).
import { Type } from 'typebox';
import { oneOf, rules, text } from './build.ts';
import { secretRef } from './common.ts';

const signed = Type.Object(
  {
    keySecretRef: Type.Object(secretRef.properties, {
      description: 'The Secret with the signing keys: every entry is one key, its name the key id, its value 32 to 64 random bytes in base64. At most 8 live at a time.',
    }),
    bind: Type.Optional(
      oneOf(
        ['Transaction', 'Session', 'Expiry'],
        'What a token is good for. Transaction, when left out, is the one that is safe behind a transaction pooler; Session and Expiry can be replayed, as docs/claims.md says.',
      ),
    ),
  },
  { description: 'How tokens are checked; needed with `type: Signed` and refused otherwise.' },
);

interface Claims {
  readonly type: string;
  readonly setting?: string;
  readonly signed?: unknown;
}

export const claims = Type.Object(
  {
    type: oneOf(
      ['Setting', 'Signed', 'Role'],
      'How a session says who it acts for. Setting reads a session setting that holds JSON; Signed reads one that holds a token under an HMAC; Role knows only the database role itself.',
    ),
    setting: Type.Optional(
      text('The setting that holds the claims or the token. When left out: request.jwt.claims with Setting, rowseal.token with Signed.', 128, { pattern: '^[a-z_][a-z0-9_]*([.][a-z_][a-z0-9_]*)+$' }),
    ),
    signed: Type.Optional(signed),
  },
  {
    description: 'How a session says who it acts for.',
    ...rules(
      {
        rule: "(self.type == 'Signed') == has(self.signed)",
        message: 'signed goes with type: Signed, and only with it',
        holds: (self: Claims) => (self.type === 'Signed') === (self.signed !== undefined),
      },
      {
        rule: "self.type == 'Role' ? !has(self.setting) : true",
        message: 'type: Role reads no setting',
        holds: (self: Claims) => self.type !== 'Role' || self.setting === undefined,
      },
    ),
  },
);
