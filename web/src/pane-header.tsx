/** The line above a conversation. */
import type { ReactNode } from "react";
import { MenuIcon } from "./icons.tsx";

interface PaneHeaderProps {
  readonly title: string;
  readonly onShowList: () => void;
  readonly children?: ReactNode;
}

export function PaneHeader({ title, onShowList, children }: PaneHeaderProps) {
  return (
    <header className="pane-header">
      <button type="button" className="icon-button only-narrow" aria-label="Show conversations" onClick={onShowList}>
        <MenuIcon />
      </button>
      <h1 title={title} dir="auto">
        {title}
      </h1>
      {children}
    </header>
  );
}
