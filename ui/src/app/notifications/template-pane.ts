import {
  ChangeDetectionStrategy,
  Component,
  computed,
  effect,
  inject,
  linkedSignal,
  signal,
  untracked,
} from '@angular/core';

import { Api } from '../api/api';
import { Problem } from '../api/problem';
import type { Preview } from '../api/schema';
import { Field } from '../parts/field';
import { reading } from '../parts/reading';
import { WordingPipe } from '../parts/shown';
import { Loading, Trouble } from '../parts/states';

/** A pause in typing after which the preview is made, in milliseconds. */
const PAUSE_MS = 300;

/** Templates, each with a preview that follows what is typed. Nothing is stored. */
@Component({
  selector: 'mr-template-pane',
  imports: [Field, Loading, Trouble, WordingPipe],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `@if (templates.problem(); as problem) {
      <mr-trouble [problem]="problem" (retry)="templates.reload()" />
    }
    <section class="card" aria-label="Templates">
      @if (templates.isFirst()) {
        <mr-loading />
      } @else if (chosen(); as template) {
        <div class="card-body template-pane">
          <div class="form">
            <mr-field label="Template">
              <select (change)="name.set(pick.value)" #pick>
                @for (one of templates.value()?.items; track one.name) {
                  <option [value]="one.name" [selected]="one.name === template.name">
                    {{ one.name | wording }}
                  </option>
                }
              </select>
            </mr-field>
            <mr-field label="Subject">
              <input [value]="subject()" (input)="subject.set(line.value)" #line />
            </mr-field>
            <mr-field label="Text" hint="Try another text: the preview follows, nothing is stored.">
              <textarea [value]="body()" (input)="body.set(text.value)" #text></textarea>
            </mr-field>
          </div>
          <div class="form">
            <h2>Preview</h2>
            @if (problem(); as problem) {
              <mr-trouble [problem]="problem" [canRetry]="false" />
            }
            @if (preview(); as shown) {
              <div class="message" aria-live="polite">
                @if (shown.subject) {
                  <strong>{{ shown.subject }}</strong>
                }
                <div>{{ shown.body }}</div>
              </div>
            }
          </div>
        </div>
      }
    </section>`,
})
export class TemplatePane {
  private readonly api = inject(Api);
  protected readonly templates = reading((signal) =>
    this.api.call('listTemplates', { query: { limit: 100 }, signal }),
  );
  protected readonly name = signal('');
  protected readonly chosen = computed(() => {
    const all = this.templates.value()?.items ?? [];
    return all.find((one) => one.name === this.name()) ?? all[0];
  });
  protected readonly subject = linkedSignal(() => this.chosen()?.subject ?? '');
  protected readonly body = linkedSignal(() => this.chosen()?.body ?? '');
  protected readonly preview = signal<Preview | null>(null);
  protected readonly problem = signal<Problem | null>(null);

  constructor() {
    effect((onCleanup) => {
      const template = this.chosen()?.name;
      const body = { subject: this.subject(), body: this.body() };
      if (!template) return;
      const wait = untracked(() => this.preview()) ? PAUSE_MS : 0;
      const stop = new AbortController();
      const timer = setTimeout(() => void this.show(template, body, stop.signal), wait);
      onCleanup(() => {
        clearTimeout(timer);
        stop.abort();
      });
    });
  }

  private async show(
    template: string,
    body: { subject: string; body: string },
    signal: AbortSignal,
  ): Promise<void> {
    try {
      this.preview.set(
        await this.api.call('previewTemplate', { path: { template }, body, signal }),
      );
      this.problem.set(null);
    } catch (error) {
      if (!signal.aborted) this.problem.set(Problem.of(error));
    }
  }
}
