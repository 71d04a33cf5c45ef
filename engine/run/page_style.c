#include <stddef.h>

#include "engine/run/page_internal.h"

/* Colours are those of a palette that people with colour blindness tell apart (Okabe and Ito 2008), darker or lighter for
 * contrast with the background. */
const char *const wz_page_style[] = {
    ":root{--bg:#fff;--fg:#1c2430;--soft:#5b6675;--line:#dfe4ea;--panel:#f6f8fa;--accent:#0b5cad;--warn:#"
    "b42318;"
    "--warnbg:#fef3f2;--ok:#067647;--c0:#0b5cad;--c1:#d55e00;--c2:#009e73;--c3:#b7458f;--c4:#8a6d00;--c5:#"
    "3fa0d8;"
    "--c6:#6b4fbb;--c7:#7a7a7a;color-scheme:light dark}\n",
    "@media(prefers-color-scheme:dark){:root{--bg:#0f141a;--fg:#e4e9ef;--soft:#98a4b3;--line:#2a333f;"
    "--panel:#171e27;--accent:#6db3f8;--warn:#ff9c92;--warnbg:#2a1614;--ok:#5fd3a2;--c0:#6db3f8;--c1:#ff9a52;"
    "--c2:#3fd0a0;--c3:#f08bc8;--c4:#e5c447;--c5:#8fd3ff;--c6:#b9a3ff;--c7:#b0b0b0}}\n",
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\n",
    "main{max-width:1140px;margin:0 auto;padding:20px 16px 60px}h1{font-size:1.6rem;margin:.2em 0;"
    "overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2em 0 .6em;padding-bottom:.25em;"
    "border-bottom:1px solid var(--line)}h3{font-size:1rem;margin:1.6em 0 .4em}p{margin:.5em "
    "0}a{color:var(--accent)}\n",
    ".sub,.note,figcaption span{color:var(--soft)}.note{font-size:.87rem}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(148px,1fr));gap:10px;margin:16px 0}"
    ".tile{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:10px 12px}"
    ".tile "
    "b{display:block;font-size:1.45rem;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.25}"
    ".tile span{color:var(--soft);font-size:.82rem}\n",
    ".grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:14px}"
    ".fill{grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr))}"
    ".samples{grid-template-columns:repeat(auto-fit,minmax(min(100%,260px),1fr))}"
    "figure{margin:0;background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:10px "
    "12px;"
    "min-width:0}figcaption{margin-bottom:4px}figcaption span{font-size:.85rem}\n",
    "svg{display:block;width:100%;height:auto}svg text{font-size:11px;fill:var(--soft)}"
    "svg .e{text-anchor:end}svg .m{text-anchor:middle}svg .l{font-size:11px}"
    "svg .g{stroke:var(--line);stroke-width:1;fill:none}svg .a{stroke:var(--soft);stroke-width:1;fill:none}"
    "svg .v{stroke:var(--soft);stroke-width:1.5;fill:none}svg "
    "path.r{stroke:var(--soft);stroke-width:1;stroke-dasharray:4 3;fill:none}svg text.r{font-size:10.5px;"
    "paint-order:stroke;stroke:var(--panel);stroke-width:3px}"
    "svg .k{fill:none;stroke-width:1.9;stroke-linejoin:round}svg .t{fill:none;stroke-width:1;opacity:.65}"
    "svg .b{opacity:.18;stroke:none}svg text.i{fill:var(--bg);font-weight:600}\n",
    "svg .k.c0,svg .t.c0{stroke:var(--c0)}svg .k.c1,svg .t.c1{stroke:var(--c1)}svg .k.c2,svg "
    ".t.c2{stroke:var(--c2)}"
    "svg .k.c3,svg .t.c3{stroke:var(--c3)}svg .k.c4,svg .t.c4{stroke:var(--c4)}svg .k.c5,svg "
    ".t.c5{stroke:var(--c5)}"
    "svg .k.c6,svg .t.c6{stroke:var(--c6)}svg .k.c7,svg .t.c7{stroke:var(--c7)}"
    ".b.c0,.d.c0,.f0{fill:var(--c0)}.b.c1,.d.c1,.f1{fill:var(--c1)}.b.c2,.d.c2,.f2{fill:var(--c2)}"
    ".b.c3,.d.c3{fill:var(--c3)}.b.c4,.d.c4{fill:var(--c4)}.b.c5,.d.c5{fill:var(--c5)}"
    ".b.c6,.d.c6{fill:var(--c6)}.b.c7,.d.c7{fill:var(--c7)}\n",
    ".legend{margin:0 0 2px;font-size:.82rem;color:var(--soft);overflow-wrap:anywhere}.legend "
    "span{display:inline-block;max-width:100%;margin-right:10px}"
    ".legend span::before{content:'';display:inline-block;width:12px;height:3px;border-radius:2px;"
    "margin-right:5px;vertical-align:middle;background:currentColor}"
    ".legend .s0::before{background:var(--c0)}.legend .s1::before{background:var(--c1)}"
    ".legend .s2::before{background:var(--c2)}.legend .s3::before{background:var(--c3)}"
    ".legend .s4::before{background:var(--c4)}.legend .s5::before{background:var(--c5)}"
    ".legend .s6::before{background:var(--c6)}.legend .s7::before{background:var(--c7)}\n",
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}"
    "th,td{padding:4px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}"
    "th{font-weight:600;color:var(--soft)}td:first-child,th:first-child,.left td,.left th{text-align:left}"
    ".left td{white-space:normal;min-width:5.5em}.left td:first-child{white-space:nowrap}"
    ".left td:not(:first-child){overflow-wrap:anywhere}tr.own td{font-weight:600}tr.changed "
    "td{font-weight:600}"
    "tr.changed td:first-child::before{content:'\\25CF';color:var(--c1);margin-right:6px}"
    "@media(max-width:600px){.runs td:first-child{white-space:normal;overflow-wrap:anywhere;min-width:10em}}"
    ".bar{display:inline-block;height:9px;border-radius:2px;background:var(--c0);vertical-align:middle}\n",
    ".alarm{border:1px solid var(--warn);background:var(--warnbg);border-radius:8px;padding:8px "
    "14px;margin:14px 0}"
    ".alarm b{color:var(--warn)}.quiet{color:var(--ok)}pre{background:var(--panel);border:1px solid "
    "var(--line);"
    "border-radius:8px;padding:10px 12px;overflow-x:auto;font-size:.85rem}code,pre{font-family:ui-monospace,"
    "'DejaVu Sans Mono',Menlo,monospace}details{margin:.6em 0}summary{cursor:pointer;color:var(--accent)}\n",
    ".text{white-space:pre-wrap;overflow-wrap:anywhere}svg .cell{stroke:var(--panel);stroke-width:1}"
    "svg text.n{font-size:9.5px;text-anchor:middle}svg .own{fill:var(--c0)}svg .best{fill:var(--c2)}"
    "svg .rim{fill:none;stroke:var(--c0);stroke-width:2.5}svg "
    ".rim2{fill:none;stroke:var(--c2);stroke-width:2.5;"
    "stroke-dasharray:4 2}svg .empty{fill:var(--line);opacity:.5}footer{margin-top:3em;color:var(--soft);"
    "font-size:.85rem;border-top:1px solid var(--line);padding-top:.8em}\n",
    NULL};
