startPictures();
startTables();
startSettings();
startCommand();
startCurves();
startConfusion();
startEmbeddings();
startHistograms();
