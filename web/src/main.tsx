/** Where the page begins. The code of a one-time link leaves the address bar before anything else happens. */
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import "./styles/base.css";
import "./styles/frame.css";
import "./styles/signs.css";
import "./styles/turns.css";
import "./styles/markdown.css";
import "./styles/composer.css";
import "./styles/first-screens.css";
import "./styles/tools.css";
import "./styles/movement.css";
import "./styles/narrow.css";
import { takeLinkCode } from "./token-store.ts";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(<App linkCode={takeLinkCode()} />);
