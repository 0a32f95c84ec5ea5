-- What belongs to no single account, or must outlive it.

CREATE TABLE tls_public_key (
    -- base64url without padding of SHA-256 over the SubjectPublicKeyInfo.
    fingerprint TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    -- 'rsa-<bits>', 'ecdsa-p256' or 'ed25519'.
    type TEXT NOT NULL,
    name TEXT NOT NULL,
    no_imap_preauth INTEGER NOT NULL,
    cert_der BLOB NOT NULL,
    account_name TEXT NOT NULL,
    login_address TEXT NOT NULL
);
CREATE INDEX tls_public_key_account ON tls_public_key (account_name);

-- Equal attempts share a row; `id` is a hash over what is equal.
CREATE TABLE login_attempt (
    id BLOB PRIMARY KEY,
    account_name TEXT NOT NULL,
    last_ms INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    login_address TEXT NOT NULL,
    remote_ip TEXT NOT NULL,
    local_ip TEXT NOT NULL,
    tls TEXT NOT NULL,
    tls_public_key_fingerprint TEXT NOT NULL,
    protocol TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    auth_mechanism TEXT NOT NULL,
    result TEXT NOT NULL
);
CREATE INDEX login_attempt_account ON login_attempt (account_name, last_ms);
CREATE INDEX login_attempt_last ON login_attempt (last_ms);
CREATE INDEX login_attempt_failed ON login_attempt (account_name, last_ms) WHERE result <> 'ok';

-- Accounts whose data is to be removed once nobody has them open.
CREATE TABLE account_remove (
    account_name TEXT PRIMARY KEY
);
