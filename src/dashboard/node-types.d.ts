/** The types of the daemon name it. Nothing else of Node is known here. */
interface Buffer extends Uint8Array {}
