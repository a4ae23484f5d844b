import { computed, DestroyRef, effect, inject, signal, untracked } from '@angular/core';
import type { Signal } from '@angular/core';

import { Problem } from '../api/problem';
import { Connection } from '../live/connection';

/** Something read from the server. The old value stays while a new one is on its way. */
export interface Reading<T> {
  readonly value: Signal<T | undefined>;
  readonly problem: Signal<Problem | null>;
  readonly isBusy: Signal<boolean>;
  /** Nothing to show yet, and nothing went wrong. */
  readonly isFirst: Signal<boolean>;
  reload: () => void;
  set: (value: T) => void;
  change: (by: (value: T) => T) => void;
}

/**
 * Reads with `load` now, whenever a signal changes that it read before its first `await`, and again
 * when the server is back after it could not be reached. Needs an injection context.
 */
export function reading<T>(load: (signal: AbortSignal) => Promise<T>): Reading<T> {
  const connection = inject(Connection);
  const value = signal<T | undefined>(undefined);
  const problem = signal<Problem | null>(null);
  const isBusy = signal(false);
  const turn = signal(0);
  let running: AbortController | null = null;
  const stop = (): void => running?.abort();
  inject(DestroyRef).onDestroy(stop);
  effect(() => {
    turn();
    stop();
    const mine = new AbortController();
    running = mine;
    const answer = load(mine.signal);
    untracked(() => isBusy.set(true));
    answer.then(
      (read) => {
        if (mine.signal.aborted) return;
        value.set(read);
        problem.set(null);
        isBusy.set(false);
      },
      (error: unknown) => {
        if (mine.signal.aborted) return;
        problem.set(Problem.of(error));
        isBusy.set(false);
      },
    );
  });
  effect(() => {
    const isBack = connection.shown().kind === 'live';
    if (isBack && untracked(problem)?.isPassing) turn.update((count) => count + 1);
  });
  return {
    value,
    problem,
    isBusy,
    isFirst: computed(() => value() === undefined && problem() === null),
    reload: () => turn.update((count) => count + 1),
    set: (read) => value.set(read),
    change: (by) => value.update((read) => (read === undefined ? read : by(read))),
  };
}

/** A page of a list. */
export interface Page<T> {
  items: T[];
  next?: string | null;
}

/** A list that grows page by page. */
export interface Listing<T> extends Reading<Page<T>> {
  readonly items: Signal<readonly T[]>;
  readonly hasMore: Signal<boolean>;
  more: () => Promise<void>;
}

/** Reads a list, the first page as [`reading`] does and the next ones when asked. */
export function listing<T>(
  load: (cursor: string | undefined, signal: AbortSignal) => Promise<Page<T>>,
): Listing<T> {
  const first = reading<Page<T>>((signal) => load(undefined, signal));
  let isMore = false;
  const more = async (): Promise<void> => {
    const page = untracked(first.value);
    if (isMore || !page?.next || untracked(first.isBusy)) return;
    isMore = true;
    try {
      const next = await untracked(() => load(page.next ?? undefined, AbortSignal.timeout(15_000)));
      // The list may have been read anew in between: then this page belongs to nothing.
      if (untracked(first.value)?.next === page.next) {
        first.change((all) => ({ items: [...all.items, ...next.items], next: next.next ?? null }));
      }
    } catch {
      // The next scroll asks again.
    } finally {
      isMore = false;
    }
  };
  return {
    ...first,
    items: computed(() => first.value()?.items ?? []),
    hasMore: computed(() => Boolean(first.value()?.next)),
    more,
  };
}
