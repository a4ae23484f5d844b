import {
  ChangeDetectionStrategy,
  Component,
  DestroyRef,
  ElementRef,
  inject,
  viewChild,
} from '@angular/core';
import { NavigationEnd, Router, RouterLink, RouterLinkActive, RouterOutlet } from '@angular/router';

import { Connection } from './live/connection';
import { OrderStream } from './live/order-stream';
import { Icon, type IconName } from './parts/icon';
import { Theme } from './parts/theme';
import { ToastList } from './parts/toasts';

interface Place {
  path: string;
  name: string;
  icon: IconName;
}

/** The frame around every page: the way to the others, and whether this one is live. */
@Component({
  selector: 'mr-root',
  imports: [Icon, RouterLink, RouterLinkActive, RouterOutlet, ToastList],
  changeDetection: ChangeDetectionStrategy.OnPush,
  templateUrl: './app.html',
})
export class App {
  protected readonly connection = inject(Connection);
  protected readonly theme = inject(Theme);
  private readonly drawer = viewChild.required<ElementRef<HTMLDialogElement>>('drawer');

  protected readonly places: readonly Place[] = [
    { path: '/', name: 'Dashboard', icon: 'dashboard' },
    { path: '/orders', name: 'Orders', icon: 'orders' },
    { path: '/stock', name: 'Stock', icon: 'stock' },
    { path: '/products', name: 'Products', icon: 'products' },
    { path: '/customers', name: 'Customers', icon: 'customers' },
    { path: '/notifications', name: 'Notifications', icon: 'bell' },
    { path: '/health', name: 'Health', icon: 'health' },
  ];

  constructor() {
    inject(OrderStream).start();
    let isFirst = true;
    const moves = inject(Router).events.subscribe((event) => {
      if (!(event instanceof NavigationEnd)) return;
      this.closeDrawer();
      // A reader hears where it is; the very first page is read from its top anyway.
      const path = event.urlAfterRedirects.split('?')[0];
      if (!isFirst && path !== this.path) {
        setTimeout(() => document.querySelector<HTMLElement>('main h1')?.focus());
      }
      this.path = path;
      isFirst = false;
    });
    inject(DestroyRef).onDestroy(() => moves.unsubscribe());
  }

  private path: string | undefined;

  protected openDrawer(): void {
    this.drawer().nativeElement.showModal();
  }

  protected closeDrawer(): void {
    this.drawer().nativeElement.close();
  }

  protected skip(event: Event): void {
    event.preventDefault();
    document.querySelector<HTMLElement>('main')?.focus();
  }
}
