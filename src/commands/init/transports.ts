import { TRANSPORTS, type Transport } from '../../config/transports.ts';
import { CdcError } from '../../runtime/error.ts';
import { kafkaTransport } from './kafka-transport.ts';
import { firehoseTransport, kinesisTransport } from './stream-transports.ts';
import { flagText, type InitTransport, type TransportFlag, type TransportFlagName } from './transport.ts';

export const INIT_TRANSPORTS: Record<Transport, InitTransport> = {
  firehose: firehoseTransport,
  kinesis: kinesisTransport,
  kafka: kafkaTransport,
};

/** The flags of all transports, each once. */
export const TRANSPORT_FLAGS: readonly TransportFlag[] = [
  ...new Set(TRANSPORTS.flatMap((transport) => INIT_TRANSPORTS[transport].flags)),
];

/**
 * The transports that have all of the flags; the first one is the default.
 * @throws CdcError with exit code 2 that names the flags that do not belong together
 */
export function transportsOf(flags: { transport?: Transport } & Partial<Record<TransportFlagName, unknown>>) {
  const given = TRANSPORT_FLAGS.flatMap(({ name }) => (flags[name] === undefined ? [] : [name]));
  const possible = TRANSPORTS.filter((transport) => flags.transport === undefined || flags.transport === transport);
  const found = possible.filter((transport) => given.every((name) => owners(name).includes(transport)));
  if (found.length > 0) return found as [Transport, ...Transport[]];
  const named = given.filter((name) => !owners(name).includes(flags.transport as Transport));
  const texts = named.map(flagText);
  const what =
    flags.transport === undefined
      ? `${texts.join(', ')} cannot be used together`
      : `${texts.join(', ')} cannot be used with --transport ${flags.transport}`;
  throw new CdcError(what, {
    exitCode: 2,
    why: named.map((name) => `${flagText(name)} is for ${owners(name).join(' and ')}`).join('\n       '),
    hint: 'give the flags of one transport; docs/TRANSPORTS.md shows how a configuration can have several',
  });
}

const owners = (name: TransportFlagName): Transport[] =>
  TRANSPORTS.filter((transport) => INIT_TRANSPORTS[transport].flags.some((flag) => flag.name === name));
