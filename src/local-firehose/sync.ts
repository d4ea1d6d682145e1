import { open } from 'node:fs/promises';

/** Makes the names in a folder survive a loss of power, as far as the system can (Windows cannot open a folder). */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform !== 'win32') await syncFile(path);
}

export async function syncFile(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
