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
import { CountPipe, Status, WordingPipe } from '../parts/shown';
import { Loading, Trouble } from '../parts/states';
import { Toasts } from '../parts/toasts';
import { bytes, type Check, checksOf, isPartial, servicesOf, sumOf, versionsOf } from './metrics';

const POLL_MS = 2000;

@Component({
  selector: 'mr-health',
  imports: [CountPipe, Icon, Loading, Status, Trouble, WordingPipe],
  changeDetection: ChangeDetectionStrategy.OnPush,
  templateUrl: './health.html',
})
export class HealthPage {
  private readonly api = inject(Api);
  private readonly toasts = inject(Toasts);
  protected readonly connection = inject(Connection);

  protected readonly health = reading((signal) => this.api.call('getHealth', { signal }));
  protected readonly overview = reading((signal) => this.api.call('getOverview', { signal }));
  protected readonly processes = computed(() => this.health.value()?.processes ?? []);
  protected readonly services = computed(() => servicesOf(this.processes()));
  protected readonly versions = computed(() => versionsOf(this.processes()));
  protected readonly isSpread = computed(() => this.processes().length > 1);
  protected readonly commit = computed(() => {
    const commits = this.value('millrace_store_commits_total');
    const micros = this.value('millrace_store_commit_micros_total');
    return commits && micros !== null ? duration(Math.round(micros / commits)) : '–';
  });
  protected readonly checks = signal<readonly Check[] | null>(null);
  protected readonly isPartial = signal(false);
  protected readonly isAuditing = signal(false);
  protected readonly violations = computed(() =>
    (this.checks() ?? []).reduce((sum, check) => sum + check.violations, 0),
  );

  constructor() {
    const timer = setInterval(() => {
      if (document.visibilityState !== 'visible') return;
      this.health.reload();
      this.overview.reload();
    }, POLL_MS);
    inject(DestroyRef).onDestroy(() => clearInterval(timer));
  }

  protected value(name: string): number | null {
    return sumOf(this.processes(), name);
  }

  protected size(bytesOf: number | null | undefined): string {
    return bytesOf === null || bytesOf === undefined ? '–' : bytes(bytesOf);
  }

  protected span(seconds: number | null | undefined): string {
    return seconds === null || seconds === undefined ? '–' : duration(Math.round(seconds * 1e6));
  }

  /** How long the first event has waited that is not published. */
  protected waits(seconds: number | undefined): string {
    return seconds === 0 ? 'none' : this.span(seconds);
  }

  protected async audit(): Promise<void> {
    this.isAuditing.set(true);
    try {
      const report = await this.api.call('audit');
      this.checks.set(checksOf(report));
      this.isPartial.set(isPartial(report));
    } catch (error) {
      this.toasts.complain(error);
    } finally {
      this.isAuditing.set(false);
    }
  }
}
