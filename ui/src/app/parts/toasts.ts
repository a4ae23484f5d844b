import { ChangeDetectionStrategy, Component, inject, Injectable, signal } from '@angular/core';

import { Problem } from '../api/problem';
import type { Tone } from '../api/words';
import { Icon } from './icon';

interface Toast {
  id: number;
  tone: Tone;
  text: string;
}

/** How long a message stays, in milliseconds. */
const STAY_MS = 6000;
const TOASTS_MAX = 3;

/** Short messages about what a person has just done. */
@Injectable({ providedIn: 'root' })
export class Toasts {
  private count = 0;
  readonly all = signal<readonly Toast[]>([]);

  say(text: string, tone: Tone = 'ok'): void {
    const id = ++this.count;
    this.all.update((all) => [...all, { id, tone, text }].slice(-TOASTS_MAX));
    setTimeout(() => this.close(id), STAY_MS);
  }

  complain(error: unknown): void {
    const problem = Problem.of(error);
    this.say(`${problem.title}. ${problem.detail}`, 'bad');
  }

  close(id: number): void {
    this.all.update((all) => all.filter((toast) => toast.id !== id));
  }
}

@Component({
  selector: 'mr-toasts',
  imports: [Icon],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<div class="toasts" role="status" aria-live="polite">
    @for (toast of toasts.all(); track toast.id) {
      <div class="toast" [class]="toast.tone">
        <mr-icon [name]="toast.tone === 'bad' ? 'warn' : 'check'" />
        <div>{{ toast.text }}</div>
        <button
          type="button"
          class="icon-button plain"
          aria-label="Close message"
          (click)="toasts.close(toast.id)"
        >
          <mr-icon name="close" [size]="14" />
        </button>
      </div>
    }
  </div>`,
})
export class ToastList {
  protected readonly toasts = inject(Toasts);
}
