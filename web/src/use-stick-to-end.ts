/** Keeps the end of a growing text in sight, unless the reader has scrolled up. */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

/** This close to the end counts as at the end, in pixels. */
const closeToEndPx = 60;

/** `scroller` goes to the element that scrolls. */
export function useStickToEnd() {
  const scroller = useRef<HTMLDivElement>(null);
  const [isAtEnd, setIsAtEnd] = useState(true);

  const goToEnd = useCallback(() => {
    const element = scroller.current;
    if (element !== null) element.scrollTop = element.scrollHeight;
  }, []);

  useEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const look = () => setIsAtEnd(element.scrollHeight - element.scrollTop - element.clientHeight < closeToEndPx);
    element.addEventListener("scroll", look, { passive: true });
    return () => element.removeEventListener("scroll", look);
  }, []);

  // After every drawing: whatever made the content grow, its end is what the reader is looking at.
  useLayoutEffect(() => {
    if (isAtEnd) goToEnd();
  });

  return { scroller, isAtEnd, goToEnd };
}
