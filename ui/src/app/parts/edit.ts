import { computed, signal } from '@angular/core';
import type { Signal, WritableSignal } from '@angular/core';

import { type Answer, newKey } from '../api/api';
import { Problem } from '../api/problem';
import { type Clash, clashes, resolved } from './conflict';

/** What a form holds: text by field, whatever the API makes of it. */
export type Draft = Record<string, string>;

/** What is needed to edit something under its version. */
export interface Editing<T, D extends Draft> {
  labels: Readonly<Partial<Record<keyof D, string>>>;
  draftOf: (thing: T) => D;
  read: () => Promise<Answer<T>>;
  save: (draft: D, etag: string, key: string) => Promise<Answer<T>>;
}

/** A form over something that others may change at the same time. */
export class Edit<T, D extends Draft> {
  readonly draft: WritableSignal<D>;
  readonly problem = signal<Problem | null>(null);
  readonly isBusy = signal(false);
  readonly isReady = signal(false);
  readonly conflict = signal<readonly Clash[] | null>(null);
  readonly keepTheirs = signal<ReadonlySet<string>>(new Set());
  readonly isStopped: Signal<boolean>;
  private before: D;
  private theirs: D | null = null;
  private etag = '';
  private key = newKey();

  constructor(
    private readonly editing: Editing<T, D>,
    first: D,
  ) {
    this.draft = signal(first);
    this.before = first;
    this.isStopped = computed(() => this.isBusy() || !this.isReady());
  }

  /** Reads what is to be edited, with its version. */
  async start(): Promise<void> {
    try {
      const { body, etag } = await this.editing.read();
      this.before = this.editing.draftOf(body);
      this.draft.set(this.before);
      this.etag = etag;
      this.isReady.set(true);
    } catch (error) {
      this.problem.set(Problem.of(error));
    }
  }

  set(field: keyof D & string, text: string): void {
    this.draft.update((draft) => ({ ...draft, [field]: text }));
  }

  error(...pointers: string[]): string | null {
    const errors = this.problem()?.errors ?? [];
    return errors.find((error) => pointers.includes(error.pointer))?.detail ?? null;
  }

  /** Saves; answers what was stored, or nothing if it was refused. */
  async save(): Promise<T | null> {
    if (this.isStopped()) return null;
    this.isBusy.set(true);
    this.problem.set(null);
    try {
      if (this.theirs) {
        this.draft.set(resolved(this.before, this.draft(), this.theirs, this.keepTheirs()));
        this.before = this.theirs;
        this.theirs = null;
        this.conflict.set(null);
      }
      const { body } = await this.editing.save(this.draft(), this.etag, this.key);
      return body;
    } catch (error) {
      const problem = Problem.of(error);
      // Under the same key the server would go on answering what it answered first.
      if (!problem.isPassing) this.key = newKey();
      if (problem.isConflict) await this.compare();
      else this.problem.set(problem);
      return null;
    } finally {
      this.isBusy.set(false);
    }
  }

  private async compare(): Promise<void> {
    try {
      const { body, etag } = await this.editing.read();
      this.etag = etag;
      this.theirs = this.editing.draftOf(body);
      this.keepTheirs.set(new Set());
      this.conflict.set(clashes(this.editing.labels, this.before, this.draft(), this.theirs));
    } catch (error) {
      this.problem.set(Problem.of(error));
    }
  }
}
