import { useEffect } from 'preact/hooks';
import type { ShownHealth } from './shown-health.ts';

/** A tab in the background shows the health too: in words in its title, and as a shape of its own in its icon. */
export function useTabTitle(name: string | undefined, health: ShownHealth | null): void {
  const status = health?.status;
  useEffect(() => {
    document.title = status === undefined ? 'cdc' : `${name ?? 'cdc'}: ${status}`;
    if (status !== undefined) document.getElementById('icon')?.setAttribute('href', iconUrl(ICONS[status]));
  }, [name, status]);
}

const ICONS = {
  ok: '<circle cx="8" cy="8" r="7" fill="#1a7f4b"/><path d="M4.5 8.2l2.4 2.4 4.6-5" stroke="#fff" stroke-width="2" fill="none"/>',
  degraded: '<path d="M8 1l7.5 14H.5z" fill="#b35c00"/><path d="M8 6v4.5M8 12v1.5" stroke="#fff" stroke-width="1.8"/>',
  down: '<rect x="1" y="1" width="14" height="14" rx="2" fill="#c4282d"/><path d="M5 5l6 6M11 5l-6 6" stroke="#fff" stroke-width="2"/>',
};

const iconUrl = (shapes: string): string =>
  `data:image/svg+xml,${encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">${shapes}</svg>`)}`;
