import {
  ChangeDetectionStrategy,
  Component,
  DestroyRef,
  inject,
  input,
  signal,
} from '@angular/core';
import { Router, RouterLink } from '@angular/router';

import { Api } from '../api/api';
import type { Notification } from '../api/schema';
import { OrderStream } from '../live/order-stream';
import { Box } from '../parts/box';
import { listing } from '../parts/reading';
import { CountPipe, Status, When, WordingPipe } from '../parts/shown';
import { Empty, Loading, Trouble } from '../parts/states';
import { TemplatePane } from './template-pane';

/** New entries come with orders: the log is read again so often at most, in milliseconds. */
const READ_AGAIN_MS = 2500;

@Component({
  selector: 'mr-notification-list',
  imports: [
    Box,
    CountPipe,
    Empty,
    Loading,
    RouterLink,
    Status,
    TemplatePane,
    Trouble,
    When,
    WordingPipe,
  ],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<div class="page">
    <header class="page-head">
      <div>
        <h1 tabindex="-1">Notifications</h1>
        <p>Who was told what, once each</p>
      </div>
    </header>

    <div class="filters">
      <div class="segments" role="group" aria-label="View">
        <button
          type="button"
          [attr.aria-pressed]="view() !== 'templates'"
          (click)="set({ view: null })"
        >
          Log
        </button>
        <button
          type="button"
          [attr.aria-pressed]="view() === 'templates'"
          (click)="set({ view: 'templates' })"
        >
          Templates
        </button>
      </div>
      @if (view() !== 'templates') {
        <div class="segments" role="group" aria-label="State">
          <button type="button" [attr.aria-pressed]="!state()" (click)="set({ state: null })">
            All
          </button>
          @for (one of states; track one) {
            <button
              type="button"
              [attr.aria-pressed]="state() === one"
              (click)="set({ state: one })"
            >
              {{ one | wording }}
            </button>
          }
        </div>
      }
    </div>

    @if (view() === 'templates') {
      <mr-template-pane />
    } @else {
      @if (list.problem(); as problem) {
        <mr-trouble [problem]="problem" (retry)="list.reload()" />
      }
      <section class="card" aria-label="Log">
        @if (list.isFirst()) {
          <mr-loading />
        } @else if (list.items().length === 0 && !list.problem()) {
          <mr-empty icon="bell" title="Nothing was sent">
            {{
              state()
                ? 'No notification is in this state.'
                : 'The first order brings the first one.'
            }}
          </mr-empty>
        } @else {
          <table>
            <thead>
              <tr>
                <th scope="col">Message</th>
                <th scope="col" class="wide">Recipient</th>
                <th scope="col" class="wide">Channel</th>
                <th scope="col">State</th>
                <th scope="col" class="number wide">Attempts</th>
                <th scope="col" class="number wide">When</th>
              </tr>
            </thead>
            <tbody>
              @for (one of list.items(); track one.notificationId) {
                <tr>
                  <td>
                    <button type="button" class="link-button" (click)="open.set(one)">
                      {{ one.subject || (one.eventType | wording) }}
                    </button>
                    <div class="cell-sub narrow">
                      {{ one.recipient }} · <mr-when [at]="one.createdAt" />
                    </div>
                  </td>
                  <td class="wide">{{ one.recipient }}</td>
                  <td class="wide muted">{{ one.channel | wording }}</td>
                  <td><mr-status [word]="one.state" /></td>
                  <td class="number wide muted">{{ one.attempts | count }}</td>
                  <td class="number wide faint"><mr-when [at]="one.createdAt" /></td>
                </tr>
              }
            </tbody>
          </table>
          @if (list.hasMore()) {
            <div class="more">
              <button type="button" class="button" (click)="list.more()">Show more</button>
            </div>
          }
        }
      </section>
    }

    @if (open(); as one) {
      <mr-box [title]="one.eventType | wording" (closed)="open.set(null)">
        <dl class="facts">
          <dt>To</dt>
          <dd>{{ one.recipient }} by {{ one.channel | wording }}</dd>
          <dt>State</dt>
          <dd><mr-status [word]="one.state" /></dd>
          @if (one.orderId) {
            <dt>Order</dt>
            <dd>
              <a [routerLink]="['/orders', one.orderId]">…{{ one.orderId.slice(-6) }}</a>
            </dd>
          }
          @if (one.lastError) {
            <dt>Last error</dt>
            <dd class="break">{{ one.lastError }}</dd>
          }
        </dl>
        <div class="message">
          @if (one.subject) {
            <strong>{{ one.subject }}</strong>
          }
          <div>
            {{ one.body || 'The text was removed with the personal data of the recipient.' }}
          </div>
        </div>
      </mr-box>
    }
  </div>`,
})
export class NotificationList {
  private readonly api = inject(Api);
  private readonly router = inject(Router);
  readonly state = input<string | undefined>();
  readonly view = input<string | undefined>();
  protected readonly states = ['pending', 'sent', 'failed'] as const;
  protected readonly open = signal<Notification | null>(null);

  protected readonly list = listing((cursor, signal) =>
    this.api.call('listNotifications', {
      query: {
        ...(this.state() ? { state: [this.state() ?? ''] } : {}),
        limit: 50,
        ...(cursor ? { cursor } : {}),
      },
      signal,
    }),
  );

  constructor() {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const soon = (): void => {
      timer ??= setTimeout(() => {
        timer = undefined;
        // Whoever has gone deeper into the log is not thrown back to its top.
        if (this.list.items().length <= 50) this.list.reload();
      }, READ_AGAIN_MS);
    };
    const stop = inject(OrderStream).listen({ changed: soon, reload: () => this.list.reload() });
    inject(DestroyRef).onDestroy(() => {
      stop();
      clearTimeout(timer);
    });
  }

  protected set(filter: Record<string, string | null>): void {
    void this.router.navigate([], {
      queryParams: filter,
      queryParamsHandling: 'merge',
      replaceUrl: true,
    });
  }
}
