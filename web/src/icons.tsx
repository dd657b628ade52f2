/** The few pictures of the page; all are decoration beside text or a label. */
import type { ReactNode } from "react";

function Icon({ children, size = 18 }: { readonly children: ReactNode; readonly size?: number }) {
  return (
    <svg
      aria-hidden="true"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.8"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      {children}
    </svg>
  );
}

/** An atoll from above: a ring of islands around a lagoon. */
export function AtollMark({ size = 26 }: { readonly size?: number }) {
  return (
    <svg className="atoll-mark" aria-hidden="true" width={size} height={size} viewBox="0 0 32 32" fill="none">
      <circle cx="16" cy="16" r="8.5" className="lagoon" />
      <circle
        cx="16"
        cy="16"
        r="12"
        strokeWidth="4.5"
        strokeLinecap="round"
        strokeDasharray="38 9 11 8 1.5 7.9"
        transform="rotate(-70 16 16)"
        className="reef"
      />
    </svg>
  );
}

export const PlusIcon = () => (
  <Icon>
    <path d="M12 5v14M5 12h14" />
  </Icon>
);
export const MenuIcon = () => (
  <Icon size={20}>
    <path d="M4 7h16M4 12h16M4 17h10" />
  </Icon>
);
export const CloseIcon = () => (
  <Icon size={20}>
    <path d="M6 6l12 12M18 6L6 18" />
  </Icon>
);
export const SendIcon = () => (
  <Icon>
    <path d="M12 19V5M6 11l6-6 6 6" />
  </Icon>
);
export const StopIcon = () => (
  <svg aria-hidden="true" width="14" height="14" viewBox="0 0 14 14">
    <rect x="1" y="1" width="12" height="12" rx="2.5" fill="currentColor" />
  </svg>
);
export const ToolIcon = () => (
  <Icon size={16}>
    <path d="M14.7 6.3a4 4 0 0 0-5.2 5.2L4 17l3 3 5.5-5.5a4 4 0 0 0 5.2-5.2l-2.6 2.6-2.4-.6-.6-2.4z" />
  </Icon>
);
export const ThoughtIcon = () => (
  <Icon size={16}>
    <path d="M9 18h6M10 21h4M12 3a6 6 0 0 0-3.6 10.8c.7.6 1.1 1.3 1.1 2.2h5c0-.9.4-1.6 1.1-2.2A6 6 0 0 0 12 3z" />
  </Icon>
);
export const ChevronIcon = () => (
  <span className="chevron">
    <Icon size={14}>
      <path d="M9 6l6 6-6 6" />
    </Icon>
  </span>
);
export const DownIcon = () => (
  <Icon size={16}>
    <path d="M12 5v14M6 13l6 6 6-6" />
  </Icon>
);
