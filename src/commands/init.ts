import { Command, Option } from 'commander';
import { TLS_MODES } from '../config/url.ts';
import type { InitFlags } from './init/answers.ts';

const HELP = `
On a terminal it asks for what the flags do not name. It tries the connection, writes the file, prints the statements
that make the account, and ends with cdc check, whose exit code it has. A file that exists is replaced only with
--force.

It knows Firehose. For Kinesis or Kafka write the section kinesis: or kafka: by hand: config/cdc.example.yaml has both.

The password is never written: the file has \${CDC_MYSQL_PASSWORD}, or the path of --password-file. It is taken from
that file, the environment variable CDC_MYSQL_PASSWORD, or the URL; otherwise it is asked for.

Exit code 0 if cdc run can start, 3 if the check finds an error, 2 for wrong flags or a file that exists, 130 after
Ctrl-C.

Examples:
  cdc init
  cdc init --url mysql://cdc@db.example.com:3306 --tables 'shop.*' '!shop.log' --stream shop-changes --region eu-west-1`;

/** `cdc init`: writes a configuration. */
export function initCommand(signal: AbortSignal): Command {
  return new Command('init')
    .description('Writes a configuration for Firehose: asks for server and stream, tries them, and prints the GRANTs.')
    .option('--output <file>', 'the configuration file', 'cdc.yaml')
    .option('--url <url>', 'source.url: mysql://user@host:port, several hosts with commas')
    .option('--password-file <file>', 'a file that contains only the password')
    .addOption(new Option('--tls <mode>', 'source.tls (default: by host)').choices(TLS_MODES))
    .option('--ca-file <file>', 'source.ca_file, the certificate authority of the server')
    .option('--tables <patterns...>', "tables (default: '*.*')")
    .option('--name <name>', 'name of the pipeline (default: that of the only database, or cdc)')
    .option('--stream <name>', 'firehose.stream')
    .option('--region <region>', 'firehose.region (default: that of the AWS configuration)')
    .option('--endpoint <url>', 'firehose.endpoint, of a local Firehose or a VPC endpoint')
    .option('--force', 'replace the file')
    .option('-y, --yes', 'ask nothing')
    .addHelpText('after', HELP)
    .action(async (flags: InitFlags) => {
      const { runInit } = await import('./init/run-init.ts');
      process.exitCode = await runInit(flags, signal);
    });
}
