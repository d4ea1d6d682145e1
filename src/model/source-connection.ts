/** A secret of AWS Secrets Manager that holds a password. */
export interface PasswordSecret {
  /** Its name or its ARN. */
  id: string;
  /** The key of the password, if the secret is a JSON object. */
  key: string;
  /** The key of the user, if the user comes from the secret too. */
  user_key?: string | undefined;
  region?: string | undefined;
  endpoint?: string | undefined;
}

/** The IAM authentication of Amazon RDS. */
export interface IamAuth {
  region?: string | undefined;
  /** The endpoint that RDS names, as `host` or `host:port`, if it is reached by another name. */
  host?: string | undefined;
}

/** A password that is asked for again for each attempt to connect, because it can be rotated. */
export type RotatedPassword = { file: string } | { secret: PasswordSecret } | { iam: IamAuth };

/** What TLS checks, and its files, which are read again for each attempt to connect. */
export interface TlsSettings {
  rejectUnauthorized: boolean;
  verifyIdentity: boolean;
  caFile?: string;
  certFile?: string;
  keyFile?: string;
}

/**
 * How a server is reached. `connectionOptions` of src/secrets makes the options of mysql2 from it for each attempt to
 * connect; the types do not let it be used as these options.
 */
export interface SourceConnection {
  host: string;
  port: number;
  user: string;
  password?: string | RotatedPassword;
  ssl?: TlsSettings;
  keepAliveInitialDelay?: number;
  connectTimeout?: number;
  /** The section of the configuration that messages name. Default: `source`. */
  section?: string;
}
