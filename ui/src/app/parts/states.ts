import { ChangeDetectionStrategy, Component, input, output } from '@angular/core';

import type { Problem } from '../api/problem';
import { Icon, type IconName } from './icon';

/** What stands where nothing is. */
@Component({
  selector: 'mr-empty',
  imports: [Icon],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<div class="empty">
    <mr-icon [name]="icon()" [size]="28" />
    <strong>{{ title() }}</strong>
    <p><ng-content /></p>
    <div class="actions"><ng-content select="[action]" /></div>
  </div>`,
})
export class Empty {
  readonly icon = input<IconName>('inbox');
  readonly title = input.required<string>();
}

/** What went wrong, with its cure. */
@Component({
  selector: 'mr-trouble',
  imports: [Icon],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<div class="trouble" role="alert">
    <mr-icon name="warn" [size]="18" />
    <div>
      <strong>{{ problem().title }}</strong>
      <span>{{ problem().detail }}</span>
      @for (error of problem().errors; track error.pointer + error.code) {
        <div class="small">
          <code>{{ error.pointer }}</code> {{ error.detail }}
        </div>
      }
      @if (problem().requestId) {
        <div class="small">
          Request <code>{{ problem().requestId }}</code>
        </div>
      }
    </div>
    @if (canRetry()) {
      <button type="button" class="link-button" (click)="retry.emit()">Try again</button>
    }
  </div>`,
})
export class Trouble {
  readonly problem = input.required<Problem>();
  readonly canRetry = input(true);
  readonly retry = output();
}

/** The place of rows that are on their way. */
@Component({
  selector: 'mr-loading',
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<div class="skeletons" role="status">
    <span class="hidden-visually">Loading</span>
    @for (row of rows(); track row) {
      <span class="skeleton"></span>
    }
  </div>`,
})
export class Loading {
  readonly rows = input([1, 2, 3, 4, 5, 6]);
}
