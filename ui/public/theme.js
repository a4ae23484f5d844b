// Sets the theme before the first paint. A file of its own, because the policy allows no inline script.
(() => {
    const theme = localStorage.getItem('millrace.theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
})();
