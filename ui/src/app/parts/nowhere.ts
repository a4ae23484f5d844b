import { ChangeDetectionStrategy, Component } from '@angular/core';
import { RouterLink } from '@angular/router';

import { Empty } from './states';

@Component({
  selector: 'mr-nowhere',
  imports: [Empty, RouterLink],
  changeDetection: ChangeDetectionStrategy.OnPush,
  template: `<div class="page">
    <h1 tabindex="-1">Not found</h1>
    <div class="card">
      <mr-empty icon="search" title="There is no such page">
        The address may be mistyped, or what it named is gone.
        <a action class="button" routerLink="/">Go to the dashboard</a>
      </mr-empty>
    </div>
  </div>`,
})
export class Nowhere {}
