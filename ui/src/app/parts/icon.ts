import { ChangeDetectionStrategy, Component, computed, input } from '@angular/core';

/** Strokes on a 24 by 24 grid. */
const SHAPES = {
  dashboard: 'M4 4h7v9H4zM13 4h7v5h-7zM13 11h7v9h-7zM4 15h7v5H4z',
  orders: 'M6 3h12v18l-3-2-3 2-3-2-3 2zM9.5 8h5M9.5 12h5',
  stock: 'M12 3l8 4.5v9L12 21l-8-4.5v-9zM4.3 7.6L12 12l7.7-4.4M12 12v9',
  products: 'M3.5 12.5v-8h8l9 9-8 8zM8 8.6v-.1',
  customers:
    'M9 11a3.5 3.5 0 100-7 3.5 3.5 0 000 7zM2.5 20c.4-3.700 3-6 6.500-6s6.100 2.300 6.500 6M16 4.300a3.500 3.500 0 010 6.400M18 14.500c2 .8 3.200 2.700 3.500 5.500',
  bell: 'M6 16.500V11a6 6 0 0112 0v5.500l1.500 2h-15zM10 21h4',
  health: 'M3 12h4l2.500-6.500 4.500 13 2.500-6.500H21',
  plus: 'M12 5v14M5 12h14',
  search: 'M11 18a7 7 0 100-14 7 7 0 000 14zM16 16l4.500 4.500',
  close: 'M6 6l12 12M18 6L6 18',
  menu: 'M4 7h16M4 12h16M4 17h16',
  sun: 'M12 16a4 4 0 100-8 4 4 0 000 8zM12 2.500v2M12 19.500v2M4.900 4.900l1.400 1.400M17.700 17.700l1.400 1.400M2.500 12h2M19.500 12h2M4.900 19.100l1.400-1.400M17.700 6.300l1.400-1.400',
  moon: 'M20 14.500A8.500 8.500 0 019.500 4a8.500 8.500 0 1010.500 10.500z',
  auto: 'M12 20.500a8.500 8.500 0 100-17 8.500 8.500 0 000 17zM12 3.500v17M12 7h6.500M12 12h8.500M12 17h6.500',
  back: 'M14.500 5.500L8 12l6.500 6.500',
  forward: 'M9.500 5.500L16 12l-6.500 6.500',
  check: 'M4.500 12.500l5 5 10-11',
  warn: 'M12 4L2.500 20h19zM12 10v4.500M12 17.300v.1',
  trash: 'M4.500 6.500h15M9 6.500V4h6v2.500M6.500 6.500l1 14h9l1-14',
  edit: 'M4 20l1-4.500L16.500 4 20 7.500 8.500 19zM14 6.500l3.500 3.500',
  inbox: 'M3.500 13.500L6 5h12l2.500 8.500V19h-17zM3.500 13.500H9a3 3 0 006 0h5.500',
  up: 'M12 19V5M6 11l6-6 6 6',
  link: 'M14 4h6v6M20 4l-9 9M17 14v6H4V7h6',
} as const;

export type IconName = keyof typeof SHAPES;

/** A drawing beside a word; alone it says nothing, so it is hidden from readers. */
@Component({
  selector: 'mr-icon',
  changeDetection: ChangeDetectionStrategy.OnPush,
  host: { 'aria-hidden': 'true', class: 'icon' },
  template: `<svg
    [attr.width]="size()"
    [attr.height]="size()"
    viewBox="0 0 24 24"
    fill="none"
    stroke="currentColor"
    stroke-width="1.75"
    stroke-linecap="round"
    stroke-linejoin="round"
  >
    <path [attr.d]="shape()" />
  </svg>`,
})
export class Icon {
  readonly name = input.required<IconName>();
  readonly size = input(16);
  protected readonly shape = computed(() => SHAPES[this.name()]);
}
