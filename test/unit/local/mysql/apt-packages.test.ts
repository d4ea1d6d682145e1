import { expect, test } from 'vitest';
import { acquireSettings } from '../../../../src/local/mysql/apt-packages.ts';

test('the settings for access to the mirrors are used, but not hooks or settings for more downloads', () => {
  const dump = `APT::Update::Post-Invoke:: "rm -f /var/cache/apt/archives/*.deb || true";
Dir::State "var/lib/apt";
Acquire::http::Proxy "http://proxy.test:3128";
Acquire::Check-Valid-Until "false";
Acquire::Languages:: "de";
Acquire::IndexTargets::deb::DEP-11::MetaKey "$(COMPONENT)/dep11/Components.yml";
Acquire::Changelogs::URI::Origin::Debian "https://changelogs.test/";
`;
  expect(acquireSettings(dump)).toBe(
    'Acquire::http::Proxy "http://proxy.test:3128";\nAcquire::Check-Valid-Until "false";',
  );
});
