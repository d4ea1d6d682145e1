import files from 'node:fs/promises';
import { CheckpointFile } from '../../src/checkpoint/checkpoint-file.ts';
import { Checkpointer } from '../../src/checkpoint/checkpointer.ts';
import { DeliveryErrorHandler } from '../../src/dead-letter/delivery-error-handler.ts';
import { Delivery } from '../../src/delivery/delivery.ts';
import { Lane } from '../../src/delivery/lane.ts';
import { WatermarkTracker } from '../../src/delivery/watermark-tracker.ts';
import { FirehoseSink } from '../../src/sinks/firehose/firehose-sink.ts';
import { BinlogDecoder } from '../../src/source/binlog/binlog-decoder.ts';
import { onRename, onRequest, onWrite } from './intercept.ts';

/** A point inside an operation that the daemon passes again and again. */
export interface CrashPoint {
  /** The crash happens at one of this many first passes. */
  passes: number;
  /** Only an ending daemon passes this point. */
  atEnd?: boolean;
  /** Calls `pass` synchronously at each pass from now on. */
  arm: (pass: () => void) => void;
}

const CHECKPOINT = /\/chaos\.json\.tmp$/;
const DEAD_LETTER = /\/dead-letter\/.*\.tmp$/;

export const CRASH_POINTS: Readonly<Record<string, CrashPoint>> = {
  'start: the lock is taken': {
    passes: 1,
    arm(pass) {
      const { link } = files;
      files.link = async (...args) => {
        await link(...args);
        pass();
      };
    },
  },
  'start: before the first checkpoint': { passes: 1, arm: beforeSave },
  'checkpoint: before it is made': { passes: 6, arm: beforeSave },
  'checkpoint: half written': { passes: 5, arm: (pass) => onWrite(CHECKPOINT, { half: pass }) },
  'checkpoint: written, not synced': { passes: 5, arm: (pass) => onWrite(CHECKPOINT, { written: pass }) },
  'checkpoint: synced, not renamed': { passes: 5, arm: (pass) => onRename(CHECKPOINT, { before: pass }) },
  'checkpoint: renamed, its folder not synced': { passes: 5, arm: (pass) => onRename(CHECKPOINT, { after: pass }) },
  'checkpoint: saved': {
    passes: 5,
    arm(pass) {
      const { save } = CheckpointFile.prototype;
      CheckpointFile.prototype.save = async function (checkpoint) {
        await save.call(this, checkpoint);
        pass();
      };
    },
  },

  'source: between two events of the binlog': {
    passes: 1_000,
    arm(pass) {
      const { read } = BinlogDecoder.prototype;
      BinlogDecoder.prototype.read = function (...args) {
        pass();
        return read.apply(this, args);
      };
    },
  },
  'source: in the middle of a transaction': {
    passes: 300,
    arm(pass) {
      const { append } = Delivery.prototype;
      Delivery.prototype.append = function (...args) {
        append.apply(this, args);
        pass();
      };
    },
  },
  'source: a COMMIT is read': {
    passes: 100,
    arm(pass) {
      const { commit } = Delivery.prototype;
      Delivery.prototype.commit = function (transaction) {
        pass();
        commit.call(this, transaction);
      };
    },
  },
  'source: a transaction may go': {
    passes: 100,
    arm(pass) {
      const { commit } = Delivery.prototype;
      Delivery.prototype.commit = function (transaction) {
        commit.call(this, transaction);
        pass();
      };
    },
  },
  'source: an XA transaction is prepared': {
    passes: 6,
    arm(pass) {
      const { xaPrepared } = Delivery.prototype;
      Delivery.prototype.xaPrepared = function (transaction) {
        xaPrepared.call(this, transaction);
        pass();
      };
    },
  },

  'request: before its body is written': { passes: 40, arm: (pass) => onRequest({ before: pass }) },
  'request: half of its body is written': { passes: 40, arm: (pass) => onRequest({ half: pass }) },
  'request: written, not answered': { passes: 40, arm: (pass) => onRequest({ written: pass }) },
  'answer: its head has come': { passes: 40, arm: (pass) => onRequest({ answered: pass }) },
  'answer: read, nothing settled': {
    passes: 40,
    arm(pass) {
      const { send } = FirehoseSink.prototype;
      FirehoseSink.prototype.send = async function (...args) {
        const outcomes = await send.apply(this, args);
        pass();
        return outcomes;
      };
    },
  },

  'settling: some lanes of a request': {
    passes: 100,
    arm(pass) {
      const { settle } = Lane.prototype;
      Lane.prototype.settle = function (...args) {
        const bytes = settle.apply(this, args);
        pass();
        return bytes;
      };
    },
  },
  'settling: the watermark has moved': {
    passes: 60,
    arm(pass) {
      const { advanceTo } = WatermarkTracker.prototype;
      WatermarkTracker.prototype.advanceTo = function (oldest) {
        const moved = advanceTo.call(this, oldest);
        if (moved) pass();
        return moved;
      };
    },
  },

  'dead letter: half written': { passes: 2, arm: (pass) => onWrite(DEAD_LETTER, { half: pass }) },
  'dead letter: written, not renamed': { passes: 2, arm: (pass) => onRename(DEAD_LETTER, { before: pass }) },
  'dead letter: renamed, its folder not synced': { passes: 2, arm: (pass) => onRename(DEAD_LETTER, { after: pass }) },
  'dead letter: durable, not settled': {
    passes: 2,
    arm(pass) {
      const { deadLetter } = DeliveryErrorHandler.prototype;
      DeliveryErrorHandler.prototype.deadLetter = async function (event) {
        await deadLetter.call(this, event);
        pass();
      };
    },
  },

  'end: before what was read is delivered': {
    passes: 1,
    atEnd: true,
    arm(pass) {
      const { drain } = Delivery.prototype;
      Delivery.prototype.drain = async function () {
        pass();
        await drain.call(this);
      };
    },
  },
  'end: delivered, the last checkpoint not saved': {
    passes: 1,
    atEnd: true,
    arm(pass) {
      const { stop } = Delivery.prototype;
      Delivery.prototype.stop = function () {
        stop.call(this);
        pass();
      };
    },
  },
  'end: the last checkpoint is saved': {
    passes: 1,
    atEnd: true,
    arm(pass) {
      const { stop } = Delivery.prototype;
      let stopped = false;
      Delivery.prototype.stop = function () {
        stop.call(this);
        stopped = true;
      };
      const { save } = Checkpointer.prototype;
      Checkpointer.prototype.save = async function () {
        await save.call(this);
        if (stopped) pass();
      };
    },
  },
};

function beforeSave(pass: () => void): void {
  const { save } = CheckpointFile.prototype;
  CheckpointFile.prototype.save = async function (checkpoint) {
    pass();
    await save.call(this, checkpoint);
  };
}
