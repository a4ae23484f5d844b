import type { Routes } from '@angular/router';

/** One lazy route for each page; the titles are what the browser's tab says. */
export const routes: Routes = [
  {
    path: '',
    pathMatch: 'full',
    title: 'Dashboard · Millrace',
    loadComponent: () => import('./dashboard/dashboard').then((m) => m.Dashboard),
  },
  {
    path: 'orders',
    title: 'Orders · Millrace',
    loadComponent: () => import('./orders/order-list').then((m) => m.OrderList),
  },
  {
    path: 'orders/new',
    title: 'New order · Millrace',
    loadComponent: () => import('./orders/new-order').then((m) => m.NewOrderPage),
  },
  {
    path: 'orders/:orderId',
    title: 'Order · Millrace',
    loadComponent: () => import('./orders/order-detail').then((m) => m.OrderDetail),
  },
  {
    path: 'stock',
    title: 'Stock · Millrace',
    loadComponent: () => import('./stock/stock-list').then((m) => m.StockList),
  },
  {
    path: 'stock/:sku',
    title: 'Stock · Millrace',
    loadComponent: () => import('./stock/stock-detail').then((m) => m.StockDetail),
  },
  {
    path: 'products',
    title: 'Products · Millrace',
    loadComponent: () => import('./products/product-list').then((m) => m.ProductList),
  },
  {
    path: 'customers',
    title: 'Customers · Millrace',
    loadComponent: () => import('./customers/customer-list').then((m) => m.CustomerList),
  },
  {
    path: 'notifications',
    title: 'Notifications · Millrace',
    loadComponent: () =>
      import('./notifications/notification-list').then((m) => m.NotificationList),
  },
  {
    path: 'health',
    title: 'Health · Millrace',
    loadComponent: () => import('./health/health').then((m) => m.HealthPage),
  },
  {
    path: '**',
    title: 'Not found · Millrace',
    loadComponent: () => import('./parts/nowhere').then((m) => m.Nowhere),
  },
];
