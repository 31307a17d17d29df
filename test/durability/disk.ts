/**
 * A disk that can lose power: an ext4 file system in a file, behind a loop device. Shutting it down drops everything
 * that was written and not yet synchronised, as a power cut does. Needs root, loop devices, mkfs.ext4 and python3.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, open, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: not even the file system's own journal is written out. */
const SHUTDOWN = "import fcntl, os, struct, sys\nfcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/** What the file system lets nobody have. */
const EXT4_KEEPS_BLOCKS = 4096;

export interface Disk {
  /** Where it is mounted. */
  readonly path: string;
  /** Leaves so many bytes free, as another program's files would; 0 for none. Again: the room that was left changes. */
  fill(freeBytes: number): Promise<void>;
  /** Everything written so far reaches the disk. */
  settle(): Promise<void>;
  /** The power goes: every later write fails, and what was not synchronised is gone. */
  cut(): Promise<void>;
  /** The power is back: the file system recovers as after any crash. Nothing may hold a file of it. */
  restore(): Promise<void>;
  remove(): Promise<void>;
}

/** Why there can be no such disk here; undefined when there can. */
export async function noDisk(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "only root may mount";
  for (const [program, ...args] of [["mkfs.ext4", "-V"], ["losetup", "-f"], ["python3", "--version"], ["fallocate", "--version"]] as const) {
    try {
      await run(program, args);
    } catch {
      return `\`${program}\` is missing, or may not be used here`;
    }
  }
  try {
    await (await loseableDisk(64 * 1024 * 1024)).remove();
  } catch (error) {
    return `it cannot be mounted: ${(error as Error).message.trim().split("\n").at(-1) ?? ""}`;
  }
  return undefined;
}

/** @param bytes its size */
export async function loseableDisk(bytes: number): Promise<Disk> {
  const folder = await mkdtemp(join(tmpdir(), "signalbox-disk-"));
  const image = join(folder, "image");
  const path = join(folder, "mounted");
  await mkdir(path);
  const file = await open(image, "w");
  await file.truncate(bytes);
  await file.close();
  await run("mkfs.ext4", ["-q", "-F", image]);
  const mount = () => run("mount", ["-o", "loop", image, path]);
  await mount();
  return {
    path,
    fill: async (freeBytes) => {
      const filler = join(path, "filler");
      await rm(filler, { force: true });
      // root, as which this runs, may take the reserve too
      const { bfree, bsize } = await statfs(path);
      const size = (bfree - EXT4_KEEPS_BLOCKS) * bsize - freeBytes;
      // reserved and not written: the image stays as small as it is
      if (size > 0) await run("fallocate", ["-l", String(size), filler]);
    },
    settle: async () => void (await run("sync", ["-f", path])),
    cut: async () => void (await run("python3", ["-c", SHUTDOWN, path])),
    restore: async () => {
      await run("umount", [path]);
      await mount();
    },
    remove: async () => {
      await run("umount", [path]).catch(() => run("umount", ["-l", path]));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
