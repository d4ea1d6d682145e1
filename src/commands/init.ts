import { Command, Option } from 'commander';
import { TRANSPORTS } from '../config/transports.ts';
import { TLS_MODES } from '../config/url.ts';
import type { InitFlags } from './init/answers.ts';
import type { TransportFlag } from './init/transport.ts';
import { INIT_TRANSPORTS, TRANSPORT_FLAGS } from './init/transports.ts';

const examples = TRANSPORTS.map(
  (transport) =>
    `  cdc init --url mysql://cdc@db.example.com --tables 'shop.*' ${INIT_TRANSPORTS[transport].example({})}`,
);

const HELP = `
On a terminal it asks for what the flags do not name. It tries the connection, writes the file, prints the statements
that make the account, and ends with cdc check, whose exit code it has. A file that exists is replaced only with
--force.

The flags of Kafka choose it by themselves. Those of Firehose are those of Kinesis too: --transport kinesis.

No password is ever written: the file has \${CDC_MYSQL_PASSWORD}, or the path of --password-file. It is taken from that
file, the environment variable CDC_MYSQL_PASSWORD, or the URL; otherwise it is asked for. In the same way Kafka has
\${CDC_KAFKA_PASSWORD} or --kafka-password-file.

Exit code 0 if cdc run can start, 3 if the check finds an error, 2 for wrong flags or a file that exists, 130 after
Ctrl-C or Ctrl-D.

Examples:
  cdc init
${examples.join('\n')}`;

/** `cdc init`: writes a configuration. */
export function initCommand(signal: AbortSignal): Command {
  const command = new Command('init')
    .description('Writes a configuration: asks for server and transport, tries them, and prints the GRANTs.')
    .option('--output <file>', 'the configuration file', 'cdc.yaml')
    .option('--url <url>', 'source.url: mysql://user@host:port, several hosts with commas')
    .option('--password-file <file>', 'a file that contains only the password')
    .addOption(new Option('--tls <mode>', 'source.tls (default: by host)').choices(TLS_MODES))
    .option('--ca-file <file>', 'source.ca_file, the certificate authority of the server')
    .option('--tables <patterns...>', "tables (default: '*.*')")
    .option('--name <name>', 'name of the pipeline (default: that of the only database, or cdc)')
    .addOption(
      new Option('--transport <name>', 'where the events are sent (default: firehose, or as the flags say)').choices(
        TRANSPORTS,
      ),
    );
  for (const flag of TRANSPORT_FLAGS) command.addOption(transportOption(flag));
  return command
    .option('--force', 'replace the file')
    .option('-y, --yes', 'ask nothing')
    .addHelpText('after', HELP)
    .action(async (flags: InitFlags) => {
      const { runInit } = await import('./init/run-init.ts');
      process.exitCode = await runInit(flags, signal);
    });
}

function transportOption({ option: text, description, choices, split }: TransportFlag): Option {
  const option = new Option(text, description);
  if (choices) option.choices(choices);
  if (split) option.argParser((word: string, before: string[] = []) => [...before, ...split(word)]);
  return option;
}
