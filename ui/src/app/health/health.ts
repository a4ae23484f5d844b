import {
  ChangeDetectionStrategy,
  Component,
  computed,
  DestroyRef,
  inject,
  signal,
} from '@angular/core';

import { Api } from '../api/api';
import { duration } from '../api/time';
import { Connection } from '../live/connection';
import { Icon } from '../parts/icon';
import { reading } from '../parts/reading';
import { CountPipe, WordingPipe } from '../parts/shown';
import { Loading, Trouble } from '../parts/states';
import { Toasts } from '../parts/toasts';
import { bytes, type Check, checksOf, consumersOf, readMetrics } from './metrics';

const POLL_MS = 2000;

@Component({
  selector: 'mr-health',
  imports: [CountPipe, Icon, Loading, Trouble, WordingPipe],
  changeDetection: ChangeDetectionStrategy.OnPush,
  templateUrl: './health.html',
})
export class HealthPage {
  private readonly api = inject(Api);
  private readonly toasts = inject(Toasts);
  protected readonly connection = inject(Connection);

  protected readonly health = reading((signal) => this.api.call('getHealth', { signal }));
  protected readonly overview = reading((signal) => this.api.call('getOverview', { signal }));
  protected readonly metrics = reading(async (signal) =>
    readMetrics(await this.api.metrics(signal)),
  );
  protected readonly services = computed(() => {
    const consumers = consumersOf(this.metrics.value() ?? new Map());
    return (this.health.value()?.parts ?? []).map((part) => ({
      handled: null,
      failures: null,
      blocked: null,
      ...consumers.find((consumer) => consumer.name === part.name),
      ...part,
    }));
  });
  protected readonly memory = computed(() => bytes(this.value('millrace_resident_bytes')));
  protected readonly commit = computed(() => {
    const commits = this.value('millrace_store_commits_total');
    return commits
      ? duration(Math.round(this.value('millrace_store_commit_micros_total') / commits))
      : '–';
  });
  protected readonly checks = signal<readonly Check[] | null>(null);
  protected readonly isAuditing = signal(false);
  protected readonly violations = computed(() =>
    (this.checks() ?? []).reduce((sum, check) => sum + check.violations, 0),
  );

  constructor() {
    const timer = setInterval(() => {
      if (document.visibilityState !== 'visible') return;
      this.health.reload();
      this.metrics.reload();
      this.overview.reload();
    }, POLL_MS);
    inject(DestroyRef).onDestroy(() => clearInterval(timer));
  }

  protected value(name: string): number {
    return this.metrics.value()?.get(name) ?? 0;
  }

  protected async audit(): Promise<void> {
    this.isAuditing.set(true);
    try {
      this.checks.set(checksOf(await this.api.call('audit')));
    } catch (error) {
      this.toasts.complain(error);
    } finally {
      this.isAuditing.set(false);
    }
  }
}
