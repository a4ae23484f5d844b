import { computed, inject, Injectable, signal } from '@angular/core';

import { Clock } from './clock';

export type Phase = 'connecting' | 'live' | 'waiting';

/** One stream from the server, as the indicator shows it. */
export interface Line {
  phase: Phase;
  /** When the next attempt begins, in `waiting`. */
  retryAt: number;
}

export type Shown =
  | { kind: 'live'; text: string }
  | { kind: 'connecting'; text: string }
  | { kind: 'lost'; text: string };

/** What the indicator says of all streams together: the worst of them. */
export function shown(lines: readonly Line[], isOnline: boolean, now: number): Shown {
  if (!isOnline) return { kind: 'lost', text: 'Offline' };
  const waiting = lines.filter((line) => line.phase === 'waiting');
  if (waiting.length > 0) {
    const seconds = Math.max(
      0,
      Math.ceil((Math.min(...waiting.map((line) => line.retryAt)) - now) / 1000),
    );
    return { kind: 'lost', text: seconds > 0 ? `Reconnecting in ${seconds} s` : 'Reconnecting' };
  }
  if (lines.some((line) => line.phase === 'connecting')) {
    return { kind: 'connecting', text: 'Connecting' };
  }
  return lines.length > 0
    ? { kind: 'live', text: 'Live' }
    : { kind: 'connecting', text: 'Connecting' };
}

/** Whether what is on the page follows the server just now. */
@Injectable({ providedIn: 'root' })
export class Connection {
  private readonly clock = inject(Clock);
  private readonly lines = signal<readonly (readonly [object, Line])[]>([]);
  private readonly isOnline = signal(navigator.onLine);
  private readonly wakers = new Set<() => void>();

  readonly shown = computed(() =>
    shown(
      this.lines().map(([, line]) => line),
      this.isOnline(),
      this.clock.now(),
    ),
  );
  readonly isLost = computed(() => this.shown().kind === 'lost');

  constructor() {
    addEventListener('online', () => {
      this.isOnline.set(true);
      this.retryNow();
    });
    addEventListener('offline', () => this.isOnline.set(false));
  }

  /** A stream tells where it stands. */
  tell(stream: object, phase: Phase, retryAt = 0): void {
    this.lines.update((lines) => [
      ...lines.filter(([other]) => other !== stream),
      [stream, { phase, retryAt }] as const,
    ]);
  }

  /** A stream is needed no more. */
  forget(stream: object): void {
    this.lines.update((lines) => lines.filter(([other]) => other !== stream));
  }

  /** Calls `wake` when waiting makes no sense any more; answers how to stop that. */
  onRetry(wake: () => void): () => void {
    this.wakers.add(wake);
    return () => this.wakers.delete(wake);
  }

  /** Ends every pause. */
  retryNow(): void {
    for (const wake of [...this.wakers]) wake();
  }
}
